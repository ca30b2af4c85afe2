{{ usage_by('month', ['team_id']) }}
