{{ usage_by('week', []) }}
