"""What is made from values.yaml: values.schema.json, and the table of values in README.md."""
