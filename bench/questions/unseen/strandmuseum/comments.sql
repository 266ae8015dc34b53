COMMENT ON COLUMN objects.gallery_id IS 'Where the object hangs or stands; empty when it is in storage';
COMMENT ON COLUMN loans.fee IS 'Loan fee in euros, empty when waived';
COMMENT ON COLUMN visits.exhibition_id IS 'Exhibition of the ticket; empty for the permanent collection only';
