"""What ties txcql to other programs, each module importable only where its dependency is."""
