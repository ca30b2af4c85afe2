{{ usage_by('day', ['organization_id']) }}
