"""What the benchmarks of broken bones are built from; they run from the scripts one folder up."""
