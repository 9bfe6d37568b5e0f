"""Who may do what: users, their passwords and tokens, the audit trail, and requests that are sent twice."""
