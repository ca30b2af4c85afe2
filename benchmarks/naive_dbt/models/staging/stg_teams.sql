select * from read_parquet('{{ var("source") }}/team_credits/*.parquet')
