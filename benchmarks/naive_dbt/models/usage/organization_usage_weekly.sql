{{ usage_by('week', ['organization_id']) }}
