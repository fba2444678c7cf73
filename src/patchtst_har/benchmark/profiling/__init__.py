"""What `patchtst_har.evaluation.ComprehensiveProfiler` is made of. Imports no torch."""
