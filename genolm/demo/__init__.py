"""What ``genolm demo`` runs: the whole job, small, on bundled public-domain DNA."""
