{{ usage_by('day', []) }}
