"""What readers ask: SQL, signatures, searches, the page of a compound."""
