"""Real processes under load, killed at random moments; after each round the stored is compared with what was sent."""
