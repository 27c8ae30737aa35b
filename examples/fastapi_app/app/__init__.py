"""A small product with background jobs: a sign-up page, and what follows a sign-up."""
