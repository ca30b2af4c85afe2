"""Which teams an organization may see by their ids: those that were only ever its own.

The marts of teams have no organization: one that moved, or whose id came back under another organization, has
rows of both in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flows.warehouse import Reader

# The bucket of rows whose organization nobody knows; it is no tenant.
UNASSIGNED = "unassigned"

_OWN_TEAMS = """
select team_id from warehouse.marts.dim_teams where organization_id = ?
except
select team_id from warehouse.marts.dim_teams_history where organization_id not in (?, ?)
except
select team_id from warehouse.marts.fct_jobs where organization_id not in (?, ?)
except
select team_id from warehouse.marts.fct_llm_calls where organization_id not in (?, ?)
except
select team_id from warehouse.marts.fct_credit_transactions where organization_id not in (?, ?)
"""


def own_teams(reader: Reader, organization_id: str) -> list[str]:
    """The ids of an organization's own teams, as of the published night."""
    both = [organization_id, UNASSIGNED]
    rows = reader.execute(_OWN_TEAMS, [organization_id, *both, *both, *both, *both]).fetchall()
    return sorted(team_id for (team_id,) in rows)
