{{ calls_by('day', ['model_group', 'model']) }}
