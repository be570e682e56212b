"""The tables that stages hand on, splits by patient, and decoded pixels."""
