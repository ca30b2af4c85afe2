select * from read_parquet('{{ var("source") }}/model_aliases/*.parquet')
