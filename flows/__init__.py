"""What moves: settings, landing, dbt, audit, publish, reviews, and the `almanac` command."""

from pathlib import Path

# Where dbt_project.yml and demo/ lie: the project runs from its checkout.
PROJECT_DIR = Path(__file__).resolve().parent.parent
