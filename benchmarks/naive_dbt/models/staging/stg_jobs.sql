select * from read_parquet('{{ var("source") }}/jobs/*.parquet')
