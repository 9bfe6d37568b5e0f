"""What people and programs do with stored studies: find, hand in, review, send on, remove."""
