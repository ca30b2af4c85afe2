"""What the pipeline costs, measured side by side with what people would otherwise do."""
