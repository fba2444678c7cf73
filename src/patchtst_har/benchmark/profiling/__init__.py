"""What `patchtst_har.evaluation.ComprehensiveProfiler` is made of. Imports only `support` and `errors`."""
