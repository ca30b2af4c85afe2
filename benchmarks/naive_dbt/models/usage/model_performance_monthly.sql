{{ calls_by('month', ['model_group', 'model']) }}
