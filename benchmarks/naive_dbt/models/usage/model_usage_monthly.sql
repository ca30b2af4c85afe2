{{ calls_by('month', ['team_id', 'model_group', 'model']) }}
