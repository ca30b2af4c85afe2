{{ usage_by('day', ['team_id']) }}
