"""What the commands of ``radsuite`` do; ``suite.cli`` only declares their options."""
