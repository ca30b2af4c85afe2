{{ usage_by('week', ['team_id']) }}
