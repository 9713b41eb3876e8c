"""Trained models over HTTP: a page for people, a JSON API for programs. Needs `luke-tasks[serve]`."""
