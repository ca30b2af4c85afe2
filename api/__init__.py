"""The read-only HTTP service over what is published: the page's endpoints, and the monitoring dashboard.

Knows the flows' settings, readers and stores, and the reports' pages; nothing but the command imports it.
"""
