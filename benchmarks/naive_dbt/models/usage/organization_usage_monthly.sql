{{ usage_by('month', ['organization_id']) }}
