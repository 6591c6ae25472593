"""What people write about files, keep together, search again and want to be told of."""
