select
    team_id,
    coalesce(organization_id, 'unassigned') as organization_id,
    transaction_type,
    credits_amount,
    created_at
from {{ ref('stg_credit_transactions') }}
