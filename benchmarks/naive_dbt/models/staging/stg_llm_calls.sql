select * from read_parquet('{{ var("source") }}/llm_calls/*.parquet')
