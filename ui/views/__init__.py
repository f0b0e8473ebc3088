"""What each page shows, as plain values; no Streamlit here."""
