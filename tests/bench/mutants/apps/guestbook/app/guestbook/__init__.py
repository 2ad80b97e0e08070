"""A guestbook: people sign up, write messages, and change their own."""
