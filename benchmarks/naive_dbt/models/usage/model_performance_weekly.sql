{{ calls_by('week', ['model_group', 'model']) }}
