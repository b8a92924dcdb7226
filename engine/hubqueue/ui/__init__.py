"""The dashboard: pages rendered here, shown by the HTTP door. It asks the same commands as every other client."""
