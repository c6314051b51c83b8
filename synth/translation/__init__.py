"""Visible light to near infrared and back."""
