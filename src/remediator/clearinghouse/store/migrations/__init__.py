"""Migrations, run when a store is opened."""
