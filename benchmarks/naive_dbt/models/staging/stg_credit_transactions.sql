select * from read_parquet('{{ var("source") }}/credit_transactions/*.parquet')
