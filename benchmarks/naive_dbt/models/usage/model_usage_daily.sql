{{ calls_by('day', ['team_id', 'model_group', 'model']) }}
