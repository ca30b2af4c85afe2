{{ usage_by('month', []) }}
