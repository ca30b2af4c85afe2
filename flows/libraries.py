"""What no wheel carries: the system libraries of the PDF renderer, the tests' browser, the Java of Spark.

Imports nothing but the standard library: `scripts/setup` runs this file before anything is installed.
"""

import ctypes
import ctypes.util
import shutil
import sys

# Debian's package, the library's file name there, and its name for the linker elsewhere.
LIBRARIES = (
    ("libpango-1.0-0", "libpango-1.0.so.0", "pango-1.0"),
    ("libpangoft2-1.0-0", "libpangoft2-1.0.so.0", "pangoft2-1.0"),
    ("libharfbuzz-subset0", "libharfbuzz-subset.so.0", "harfbuzz-subset"),
    ("fontconfig", "libfontconfig.so.1", "fontconfig"),
)
# Debian's packages of programs that only tests run, or only Spark.
TEST_PROGRAMS = ("chromium",)
SPARK_PROGRAMS = {"default-jre-headless": "java"}


def missing_packages(*, for_tests: bool = False, for_spark: bool = False) -> list[str]:
    """Debian's names of the packages whose library does not load, or whose program is not on the PATH."""
    missing = [package for package, file_name, name in LIBRARIES if not _loads(file_name, name)]
    if for_tests:
        missing += [program for program in TEST_PROGRAMS if shutil.which(program) is None]
    if for_spark:
        missing += [name for name, program in SPARK_PROGRAMS.items() if shutil.which(program) is None]
    return missing


def _loads(file_name: str, name: str) -> bool:
    for candidate in (file_name, ctypes.util.find_library(name)):
        try:
            if candidate:
                ctypes.CDLL(candidate)
                return True
        except OSError:
            continue
    return False


if __name__ == "__main__":
    wanted = {"for_tests": "--tests" in sys.argv[1:], "for_spark": "--spark" in sys.argv[1:]}
    print(" ".join(missing_packages(**wanted)))
