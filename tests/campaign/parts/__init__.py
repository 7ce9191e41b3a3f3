"""What the topics of the campaign have in common."""
