"""What people would otherwise do, one module for each way; `benchmarks.peers.roster` lists them."""
