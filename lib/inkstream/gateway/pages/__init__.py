"""The web page: HTML views over the same Kafka and Cassandra as the API; templates and scripts beside them."""
