"""Child processes: started, watched, started again, never outliving their parent; and what they log."""
