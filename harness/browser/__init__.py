"""Chromium through pyppeteer, in a child process of its own."""
