"""The words of the pages, Chinese and English, by key; a file for each part of the product."""
