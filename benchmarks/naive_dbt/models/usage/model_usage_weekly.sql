{{ calls_by('week', ['team_id', 'model_group', 'model']) }}
