"""What a published night is called: by its moment, and a digest of what makes it another one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class NightName:
    """Which night it is. `as_of` is naive UTC; `id` differs whenever anything published may differ."""

    id: str
    as_of: datetime
    reporting_timezone: str

    @classmethod
    def of(cls, landing_number: int, as_of: datetime, zone: str, models_fingerprint: str) -> NightName:
        said = f"{landing_number} {as_of.isoformat()} {zone} {models_fingerprint}"
        digest = hashlib.sha256(said.encode()).hexdigest()[:8]
        return cls(f"{as_of:%Y%m%dT%H%M%SZ}-{digest}", as_of, zone)
